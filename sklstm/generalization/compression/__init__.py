"""Predictors in few bits: quantisation, decodable codes, and the Occam bound for what they describe."""
