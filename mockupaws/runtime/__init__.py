"""What each process stands on: settings, clocks, errors, connections, telemetry, health."""
