"""Training of the bundled encoder `compact` by distillation. Nothing else in nst_core imports it.

A small VGG-shaped student learns to say, through linear heads, what two teachers say: VGG-19 at
conv1_1 to conv3_1, SqueezeNet at the deeper layers. Run it with `python -m nst_core.distill`.
"""
