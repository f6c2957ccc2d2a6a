"""Where objects are, from RGB images: calibrated cameras, a learned estimator or markers, and a filter."""
