"""Every hop of the main job against its limit, measured in the same run."""
