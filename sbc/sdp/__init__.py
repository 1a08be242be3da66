"""SDP, sans-IO: session descriptions and the offer/answer model."""
