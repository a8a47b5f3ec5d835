"""The recipe of `starter`, the small chat model that comes with Manta: text, tokenizer, network, training, model card.

`python -m finetune.starter` makes `models/starter` from nothing but this folder, in half an hour on two cores. It does
not know that the model is served.
"""
