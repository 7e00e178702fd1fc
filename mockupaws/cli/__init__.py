"""The command `mockupaws`: starts and stops the embedded default, ships and reads logs, estimates without a server."""
