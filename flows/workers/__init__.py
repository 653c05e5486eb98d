"""Who works the chunks of a run: this process, one for each device, or those of a cluster."""
