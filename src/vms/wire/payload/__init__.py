"""Cut access units into RTP payloads, a module a codec; reassembly is vms.wire.depayload's."""
