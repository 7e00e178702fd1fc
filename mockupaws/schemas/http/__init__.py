"""What gateway and API say over HTTP in common."""
