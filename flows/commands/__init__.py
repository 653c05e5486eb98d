"""The commands of the command line. Heavy imports wait until a command needs them."""
