"""What the node keeps: one database whose acknowledged writes survive a kill, and the folder that it lives in."""
