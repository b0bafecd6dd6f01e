"""The event loop of servers that leave the choice to whoever runs them."""

try:
    from uvloop import new_event_loop as new_event_loop
except ImportError:
    from asyncio import new_event_loop as new_event_loop  # type: ignore[assignment]  # of another class
