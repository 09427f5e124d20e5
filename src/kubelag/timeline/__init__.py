"""Pure: events to spans to critical path to seconds per factor."""
