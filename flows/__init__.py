"""Where manifests, nst_core and augment meet: Prefect flows, the command line, the demo."""
