"""ISO base media file format (ISO/IEC 14496-12) as far as recordings and exports need it.

Belongs here: boxes, sample entries, moov, moof, sample tables, ordinary MP4 out of recordings.
Does not: the recording format's own layout and boxes (vms.format.hybrid).
"""
