"""What can happen to a run, made to happen with real parts."""
