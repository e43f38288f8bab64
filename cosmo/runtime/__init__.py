"""What every process stands on and nothing of ours stands under: settings, errors, deadlines, logs, metrics, health."""
