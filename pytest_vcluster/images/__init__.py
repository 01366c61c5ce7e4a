"""Container images that the plugin makes itself, because no registry has them.

The one rule: an image is made from what is installed here, so that the plugin and what it starts in a pod are of one
version; and the build itself needs no network.
"""
