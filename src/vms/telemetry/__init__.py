"""Logs and metrics. It reads the plain counters that components keep; components never call it per packet."""
