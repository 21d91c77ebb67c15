"""Cameras and encoders that send MPEG transport streams by SRT.

libsrt runs in the srt process alone (gateway); a media process is handed bytes over a Unix socket (link) and takes them
apart (stream, source, publication). Nothing of the media side imports the library.
"""
