"""Shapes of what comes in, one module per kind of work. Meaning is the acts' business."""
