"""The tokenizer of `starter`: byte-level BPE, so that any text in any language goes in and comes out unchanged."""

from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from finetune.starter.conversations import HERE

END_OF_TEXT, OPEN, CLOSE = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CALL_TOKENS = ("<tool_call>", "</tool_call>")
"""Tokens, but not special ones: a tool parser must see them in the text."""

WINDOW = 4096


def train(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Learn `vocabulary` tokens, the 256 bytes and the control tokens among them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(CALL_TOKENS),
        special_tokens=[END_OF_TEXT, OPEN, CLOSE],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in CALL_TOKENS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=CLOSE,
        pad_token=END_OF_TEXT,
        additional_special_tokens=[OPEN],
        model_max_length=WINDOW,
        clean_up_tokenization_spaces=False,
        chat_template=(HERE / "chat_template.jinja").read_text("utf-8"),
    )
