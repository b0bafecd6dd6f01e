"""gunicorn as Farrier runs it: settings, a master that hands over without a gap, workers that drain.

`servers` is the one place that says which servers there are, and in which versions they were tested.
It and `configuration`, `release`, `status`, `change`, `reload`, `take_up` and `execute` need the standard
library only.
"""
