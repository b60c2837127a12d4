"""Pure words of the RFCs."""
