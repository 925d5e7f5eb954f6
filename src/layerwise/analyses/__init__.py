"""The steps of the study: they join activations, data and regression. One file a step."""
