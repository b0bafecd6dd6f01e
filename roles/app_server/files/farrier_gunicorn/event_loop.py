"""The event loop of servers that leave the choice to whoever runs them."""

try:
    from uvloop import new_event_loop as make_event_loop
except ImportError:
    from asyncio import new_event_loop as make_event_loop  # type: ignore[assignment]  # of another class

__all__ = ["make_event_loop"]
