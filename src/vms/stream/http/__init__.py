"""The stream worker's own HTTP server: one TCP port beside the UDP port of live view."""
