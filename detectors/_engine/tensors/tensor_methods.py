"""Tensor methods and functions by what they do to the autograd graph."""

DETACHERS = frozenset(
    """
    item detach detach_ tolist numpy size dim numel argmax argmin argsort long int bool eq ne gt lt ge le nelement
    count_nonzero isnan isinf format tobytes get_device any all
    """.split()
)
"""Tensor methods whose result has no graph."""
KEEPERS = frozenset(
    """
    mean sum cpu cuda to float half double bfloat16 clone contiguous squeeze unsqueeze view reshape flatten abs exp
    log sqrt pow clamp clip mul div add sub neg norm max min median prod std var transpose permute t expand repeat
    softmax log_softmax sigmoid tanh relu masked_select masked_fill gather index_select type type_as view_as unbind
    logsumexp nanmean nansum unflatten values square
    """.split()
)
"""Tensor methods whose result has the graph of the tensor."""
JOINING = frozenset(
    """
    stack cat concat mean sum abs exp log sqrt square max min maximum minimum clamp add mul div sub norm softmax
    log_softmax sigmoid tanh relu squeeze unsqueeze flatten reshape where matmul mm bmm einsum logsumexp pow prod
    var std hstack vstack masked_select dot nanmean nansum neg transpose
    """.split()
)
"""Functions of `torch` whose result has the graph of what they are given."""
