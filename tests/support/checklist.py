"""Where each row of the operations checklist (OPS.md) is in zkynet, or why it is left out.

Rows under ``SAME`` bear the name of the function itself. A differentiable row is checked by its function's row in the
case table, or by the test that ``TESTS`` names.
"""

from __future__ import annotations

SAME = {
    "op": """
        add subtract multiply divide pow float_power remainder fmod floor_divide negative positive abs sign copysign
        reciprocal square sqrt rsqrt cbrt hypot maximum minimum fmax fmin clip nan_to_num lerp heaviside ldexp frexp
        scale bias
        exp exp2 expm1 log log2 log10 log1p logaddexp logaddexp2 xlogy xlog1py log1mexp
        sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh sinc deg2rad rad2deg sec csc cot asec acsc
        acot sech csch coth acsch acoth unwrap
        floor ceil round rint trunc fix
        real imag conj angle real_if_close complex polar
        equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor logical_not isfinite
        isinf isnan isposinf isneginf signbit isreal iscomplex isclose allclose array_equal all any bitwise_and
        bitwise_or bitwise_xor bitwise_invert bitwise_left_shift bitwise_right_shift nextafter
        sum mean average prod max min var std median quantile ptp logsumexp logmeanexp nansum nanmean nanprod nanmax
        nanmin nanvar nanstd nanmedian nanquantile cov corrcoef sum_to batch_l2_norm_squared argmax argmin
        count_nonzero histogram bincount
        cumulative_sum cumulative_prod cummax cummin logcumsumexp diff associative_scan
        sort partition topk kthvalue where choose piecewise argsort argpartition searchsorted nonzero isin
        reshape ravel permute_dims matrix_transpose swapaxes moveaxis rollaxis expand_dims squeeze broadcast_to
        broadcast_arrays atleast_1d atleast_2d atleast_3d flip flipud fliplr rot90 roll tile repeat pad tril triu diag
        diagonal diag_embed as_strided sliding_window_view block_diag
        concat stack hstack vstack dstack column_stack block append split array_split hsplit vsplit dsplit unstack
        meshgrid insert delete
        scatter_add take take_along_axis put_along_axis gather_nd select_item permutate masked_fill compress
        dynamic_slice one_hot segment_sum segment_max
        asarray full full_like linspace logspace geomspace eye arange
        matmul dot inner outer vdot vecdot matvec vecmat tensordot einsum kron cross multi_dot sparse_matmul cdist
        convolve correlate gradient trapezoid cumulative_trapezoid interp map_coordinates polyval polyfit vander
        relu relu6 clipped_relu leaky_relu prelu rrelu crelu elu celu selu gelu silu mish squareplus hard_tanh
        hard_sigmoid hard_swish sigmoid log_sigmoid softplus soft_sign softmax log_softmax softmin glu maxout threshold
        hardshrink softshrink tanhshrink sparsemax
        linear bilinear embedding_bag depthwise_conv local_conv scaled_dot_product_attention
        multi_head_attention rotary_embedding
        lp_pool adaptive_average_pool adaptive_max_pool spatial_pyramid_pool max_unpool affine_grid grid_sample
        batch_renorm layer_norm group_norm instance_norm rms_norm local_response_norm spectral_norm weight_norm
        weight_standardization
        slstm tree_lstm pad_sequence transpose_sequence
        squared_error mean_squared_error absolute_error mean_absolute_error huber_loss smooth_l1 log_cosh
        softmax_cross_entropy sigmoid_cross_entropy binary_cross_entropy nll_loss bernoulli_nll gaussian_nll
        poisson_nll gaussian_kl_divergence kl_div focal_loss hinge multiclass_hinge margin_ranking soft_margin
        contrastive triplet cosine_similarity cosine_embedding ctc crf1d argmax_crf1d cross_covariance decov
        dropout feature_alpha_dropout dropconnect zoneout gumbel_softmax
        identity copy astype stop_gradient straight_through while_loop scan
    """,
    "op.linalg": """
        det slogdet inv pinv solve solve_triangular solve_banded solve_sylvester lstsq cholesky cho_solve lu lu_solve qr
        eigh eigvalsh eig eigvals svd svdvals vector_norm matrix_norm cond trace matrix_power matrix_rank expm sqrtm
        logm toeplitz tensorinv tensorsolve
    """,
    "op.fft": """
        fft ifft fft2 ifft2 fftn ifftn rfft irfft rfft2 irfft2 rfftn irfftn hfft ihfft fftshift ifftshift truncate_pad
    """,
    "op.signal": "fftconvolve",
    "op.special": """
        gamma gammaln digamma polygamma zeta multigammaln rgamma gammasgn beta betaln betainc gammainc gammaincc erf
        erfc erfinv erfcinv erfcx logit ndtr ndtri log_ndtr j0 j1 jn y0 y1 yn i0 i1 i0e i1e iv ive kv sici fresnel
        dawsn spence hyp1f1 hyp2f1 owens_t entr rel_entr poch boxcox lambertw
    """,
    "zk": "odeint solve_ivp fixed_point",
    "zk.stats": """
        norm.pdf norm.logpdf norm.cdf norm.logcdf norm.sf norm.logsf t.pdf t.logpdf t.cdf t.logcdf gamma.pdf
        gamma.logpdf gamma.cdf beta.pdf beta.logpdf beta.cdf chi2.pdf chi2.logpdf chi2.cdf dirichlet.pdf
        dirichlet.logpdf poisson.pmf poisson.logpmf poisson.cdf multivariate_normal.pdf multivariate_normal.logpdf
        multivariate_normal.entropy bernoulli.logpmf categorical.logpmf geometric.logpmf binomial.logpmf nbinom.logpmf
        cauchy.logpdf expon.logpdf gumbel.logpdf laplace.logpdf logistic.logpdf lognorm.logpdf pareto.logpdf
        uniform.logpdf kl_divergence
    """,
}

# Rows whose functions have other names, or that several functions make up.
OTHER = {
    "embedding": "op.embedding op.embedding_rows",
    "select": "op.choices zkynet.numpy.select",
    "unique": "op.unique_all op.unique_counts op.unique_inverse op.unique_values",
    "r_ / c_": "zkynet.numpy.r_ zkynet.numpy.c_",
    "getitem": "zk.Tensor.__getitem__ op.take op.gather_nd",
    "setitem": "op.index_set zk.Tensor.at zk.Tensor.__setitem__",
    "scatter_reduce": "op.scatter_add zk.Tensor.at",
    "zeros / zeros_like": "op.zeros op.zeros_like",
    "ones / ones_like": "op.ones op.ones_like",
    "empty / empty_like": "op.empty op.empty_like",
    "dct / idct": "op.fft.dct op.fft.idct",
    "stft / istft": "op.signal.stft op.signal.istft",
    "quad / fixed_quad": "zk.quad zk.fixed_quad",
    "root (custom_root)": "zk.root",
    "minimize (implicit)": "zk.minimize",
    "linear_operator_solve (CG)": "zk.linear_operator_solve",
    "exp1 / expi / expn": "op.special.exp1 op.special.expi op.special.expn",
    "factorial / comb": "op.special.factorial op.special.comb",
    "rsample (reparametrised)": "zk.stats.norm.rsample zk.stats.gamma.rsample zk.stats.dirichlet.rsample",
    "swiglu / geglu": "op.swiglu op.geglu",
    "conv (n-D)": "op.conv op.conv1d op.conv2d op.conv3d",
    "conv_transpose (n-D)": "op.conv_transpose",
    "unfold (im2col)": "op.unfold",
    "fold (col2im)": "op.fold",
    "max_pool (n-D)": "op.max_pool",
    "average_pool (n-D)": "op.average_pool",
    "unpool (n-D)": "op.unpool",
    "interpolate (resize)": "op.interpolate",
    "pixel_shuffle (depth2space)": "op.pixel_shuffle",
    "pixel_unshuffle (space2depth)": "op.pixel_unshuffle",
    "batch_norm (train)": "op.batch_norm",
    "batch_norm (eval, fixed)": "op.batch_norm_eval",
    "normalize (L2)": "op.normalize",
    "rnn (n-step)": "op.rnn op.rnn_cell",
    "lstm cell": "op.lstm_cell",
    "lstm (n-step)": "op.lstm",
    "gru cell": "op.gru_cell",
    "gru (n-step)": "op.gru",
    "gaussian (reparam.)": "op.gaussian",
    "random.normal": "zk.Generator.normal op.gaussian zk.stats.norm.rsample",
    "random.uniform": "zk.Generator.uniform zk.stats.uniform.rsample",
    "random.randint": "zk.Generator.randint",
    "random.permutation": "zk.Generator.permutation",
    "random.bernoulli": "zk.Generator.bernoulli",
    "random.categorical": "zk.Generator.categorical op.gumbel_softmax",
    "random.gumbel": "zk.Generator.gumbel zk.stats.gumbel.rsample",
    "random.gamma": "zk.Generator.gamma zk.stats.gamma.rsample",
    "random.truncated_normal": "zk.Generator.truncated_normal",
    "accuracy": "zk.train.accuracy",
    "checkpoint (forget)": "zk.checkpoint",
    "custom_vjp / custom_jvp": "zk.custom_vjp zk.custom_jvp",
    "gradient_clip / reverse": "op.gradient_clip op.gradient_reversal",
    "pytree containers": "zk.grad zk.jvp",
    "cond (branch)": "op.cond",
    "map / vmap": "op.map",
}

STATS, IMPLICIT, DRAWS = "tests/test_stats.py", "tests/test_implicit.py", "tests/operators/test_random_numbers.py"
CONTINUOUS = """
    norm.pdf norm.logpdf norm.cdf norm.logcdf norm.sf norm.logsf t.pdf t.logpdf t.cdf t.logcdf gamma.pdf gamma.logpdf
    gamma.cdf beta.pdf beta.logpdf beta.cdf chi2.pdf chi2.logpdf chi2.cdf cauchy.logpdf expon.logpdf gumbel.logpdf
    laplace.logpdf logistic.logpdf lognorm.logpdf pareto.logpdf uniform.logpdf
"""
# Tests of differentiable rows that are no functions of ``op``: file, function, and the rows.
TESTS = (
    (STATS, "test_gradients", CONTINUOUS.split()),
    (
        *(STATS, "test_discrete_values_and_gradients"),
        ["poisson.pmf", *(f"{name}.logpmf" for name in ("poisson", "bernoulli", "geometric", "binomial", "nbinom"))],
    ),
    (STATS, "test_poisson_cdf", ["poisson.cdf"]),
    (STATS, "test_categorical", ["categorical.logpmf"]),
    (STATS, "test_dirichlet", ["dirichlet.pdf", "dirichlet.logpdf"]),
    (
        *(STATS, "test_multivariate_normal_gradients"),
        ["multivariate_normal.pdf", "multivariate_normal.logpdf", "multivariate_normal.entropy"],
    ),
    (STATS, "test_divergence_is_the_integral", ["kl_divergence"]),
    (STATS, "test_reparametrised_samples", ["rsample (reparametrised)", "random.gamma"]),
    (IMPLICIT, "test_odeint_derivatives_against_closed_forms", ["odeint", "solve_ivp"]),
    (IMPLICIT, "test_fixed_point", ["fixed_point"]),
    (IMPLICIT, "test_root_of_a_system", ["root (custom_root)"]),
    (IMPLICIT, "test_minimum_of_a_quadratic_and_of_a_quartic", ["minimize (implicit)"]),
    (IMPLICIT, "test_conjugate_gradients_solve_and_are_differentiated", ["linear_operator_solve (CG)"]),
    (IMPLICIT, "test_quad_is_differentiated_at_the_ends_and_under_the_integral", ["quad / fixed_quad"]),
    (
        *(DRAWS, "test_every_backend_draws_the_same_numbers_of_that_distribution"),
        [f"random.{name}" for name in ("uniform", "randint", "permutation", "bernoulli", "gumbel", "truncated_normal")],
    ),
    ("tests/operators/test_case_table.py", "test_undifferentiable_rows_send_nothing_back", ["stop_gradient"]),
    ("tests/test_numpy_names.py", "test_lists_of_tensors_are_arrays", ["r_ / c_"]),
    ("tests/engine/test_checkpoint.py", "test_it_equals_the_function_itself", ["checkpoint (forget)"]),
    ("tests/engine/test_custom_rules.py", "test_higher_orders_differentiate_the_rule", ["custom_vjp / custom_jvp"]),
    ("tests/engine/test_custom_jvp.py", "test_all_orders_and_both_modes", ["custom_vjp / custom_jvp"]),
    ("tests/engine/test_arguments.py", "test_a_gradient_has_the_structure_of_its_argument", ["pytree containers"]),
    ("tests/operators/test_truths.py", "test_truth", ["scatter_reduce"]),
)

ONLY_CHAINER = "only Chainer has it"
# Rows that are not asked for: priority 2 or 3, in neither autograd, nor MyGrad, nor the standard.
LEFT_OUT = {
    "deformable_conv": ONLY_CHAINER + " of the three; op.grid_sample and a product make it up",
    "shift": ONLY_CHAINER,
    "roi_max_pool": ONLY_CHAINER + " of the three: detection",
    "roi_average_pool": ONLY_CHAINER + ": detection",
    "roi_max_align": ONLY_CHAINER + ": detection",
    "roi_average_align": ONLY_CHAINER + " of the three: detection",
    "decorrelated_batch_norm": ONLY_CHAINER + "; op.linalg.eigh makes it up",
    "pack_padded_sequence": "priority 3: recurrent functions take padded sequences with their lengths",
    "negative_sampling": ONLY_CHAINER + ": an old loss",
    "black_out": ONLY_CHAINER + ": an old loss",
    "hierarchical_softmax": ONLY_CHAINER + " of the three: an old loss",
    "discriminative_clustering": ONLY_CHAINER + ": an old loss",
    **dict.fromkeys(("binary_accuracy", "precision", "recall", "f1_score"), ONLY_CHAINER + ", and no gradient"),
    **dict.fromkeys(("classification_summary", "r2_score"), ONLY_CHAINER + ", and no gradient"),
    "confusion_matrix": "priority 3, and no gradient",
}

PLACES = {row: [f"{space}.{row}"] for space, rows in SAME.items() for row in rows.split()}
PLACES |= {row: names.split() for row, names in OTHER.items()}
