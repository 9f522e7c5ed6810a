"""Predictors in few bits: quantisation, decodable codes, and the Occam bound on what they describe."""
