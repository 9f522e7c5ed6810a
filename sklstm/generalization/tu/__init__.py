"""Tu, He & Tao 2020: bounds for ReLU recurrent networks from matrix norms; one file per theorem."""
