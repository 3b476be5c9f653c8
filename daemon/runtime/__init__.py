"""The process: clock, scheduler, signals."""
