"""The Qt application: shows and asks; holds no truth, does no work, never imports torch."""
