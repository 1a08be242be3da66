"""A test PBX and a phone behind a NAT: SIP programs of their own, which know nothing of the SBC.

They share its grammar (`sbc.sip`, `sbc.sdp`) and nothing else, so that what works between them
and the SBC works by the messages on the wire.
"""
