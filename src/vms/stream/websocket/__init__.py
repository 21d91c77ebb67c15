"""Live view over WebSocket: fragmented MP4, one fragment a picture, for Media Source Extensions."""
