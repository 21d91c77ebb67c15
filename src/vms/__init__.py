"""VMS Enterprise: pulls cameras, records them, plays them back, shows them live."""

__version__ = "0.1.0"
