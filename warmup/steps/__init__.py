"""The circle: plan, send, observe, judge. Each step gathers, decides, applies."""
