"""Live view by HLS and low-latency HLS (RFC 8216bis): for players that know nothing else, and through any proxy.

Belongs here: segments, parts, playlists, who asks for them. Does not: HTTP itself (vms.stream.http), the
recordings' playlists (vms.storage.playback).
"""

from vms.stream.hls.service import HlsService, UrlTokens, hls_path

__all__ = ["HlsService", "UrlTokens", "hls_path"]
