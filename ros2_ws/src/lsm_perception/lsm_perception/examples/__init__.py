"""Programs beside the node that show what a planner does with its outputs (docs/planner.md).

Each is small enough to copy into a robot's own package: `label_mask` turns words into masks for Nav2's costmap
filters, `goal_from_detection` turns a detected thing into a goal pose, `top_view` draws both from above.
"""
