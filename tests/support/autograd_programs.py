"""Programs as they are written for HIPS autograd, in its documentation's style; each leaves numbers in ``found``."""

LOGISTIC_REGRESSION = """
import autograd.numpy as np
from autograd import grad

def sigmoid(x):
    return 0.5 * (np.tanh(x / 2.0) + 1)

def logistic_predictions(weights, inputs):
    return sigmoid(np.dot(inputs, weights))

def training_loss(weights):
    preds = logistic_predictions(weights, inputs)
    label_probabilities = preds * targets + (1 - preds) * (1 - targets)
    return -np.sum(np.log(label_probabilities))

inputs = np.array([[0.52, 1.12, 0.77], [0.88, -1.08, 0.15], [0.52, 0.06, -1.30], [0.74, -2.49, 1.39]])
targets = np.array([True, True, False, True])
training_gradient_fun = grad(training_loss)
weights = np.array([0.0, 0.0, 0.0])
for i in range(20):
    weights -= training_gradient_fun(weights) * 0.1
found = [weights, training_loss(weights), training_gradient_fun(weights)]
"""

NEURAL_NETWORK = """
import autograd.numpy as np
from autograd import grad, value_and_grad

def init_params(scale, layer_sizes):
    return [(scale * np.sin(np.arange(m * n) + 1.0).reshape((m, n)), scale * np.cos(np.arange(n)))
            for m, n in zip(layer_sizes[:-1], layer_sizes[1:])]

def logsumexp(x, axis):
    top = np.max(x, axis=axis, keepdims=True)
    return top + np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True))

def neural_net_predict(params, inputs):
    for W, b in params:
        outputs = np.dot(inputs, W) + b
        inputs = np.tanh(outputs)
    return outputs - logsumexp(outputs, axis=1)

def log_posterior(params, inputs, targets):
    log_prior = -0.1 * sum(np.sum(np.square(W)) + np.sum(b ** 2) for W, b in params)
    return log_prior + np.sum(neural_net_predict(params, inputs) * targets)

def objective(params):
    return -log_posterior(params, images, labels)

images = np.cos(np.arange(40.0)).reshape(8, 5)
labels = np.eye(3)[np.arange(8) % 3]
params = init_params(0.4, [5, 6, 3])
for i in range(15):
    gradient = grad(objective)(params)
    params = [(W - 0.05 * dW, b - 0.05 * db) for (W, b), (dW, db) in zip(params, gradient)]
value, gradient = value_and_grad(objective)(params)
accuracy = np.mean(np.argmax(neural_net_predict(params, images), axis=1) == np.argmax(labels, axis=1))
found = [value, accuracy] + [part for pair in gradient for part in pair]
"""

GAUSSIAN_PROCESS = """
import autograd.numpy as np
from autograd import grad

def rbf_covariance(kernel_params, x, xp):
    output_scale = np.exp(kernel_params[0])
    lengthscales = np.exp(kernel_params[1:])
    diffs = np.expand_dims(x / lengthscales, 1) - np.expand_dims(xp / lengthscales, 0)
    return output_scale * np.exp(-0.5 * np.sum(diffs ** 2, axis=2))

def unpack_kernel_params(params):
    return params[0], np.exp(params[1]) + 1e-4, params[2:]

def log_marginal_likelihood(params, x, y):
    mean, noise_scale, kernel_params = unpack_kernel_params(params)
    cov_y_y = rbf_covariance(kernel_params, x, x) + noise_scale * np.eye(len(y))
    prior_mean = mean * np.ones(len(y))
    L = np.linalg.cholesky(cov_y_y)
    alpha = np.linalg.solve(L.T, np.linalg.solve(L, y - prior_mean))
    sign, logdet = np.linalg.slogdet(cov_y_y)
    return -0.5 * np.dot(y - prior_mean, alpha) - 0.5 * logdet - 0.5 * len(y) * np.log(2 * np.pi)

def predict(params, x, y, xstar):
    mean, noise_scale, kernel_params = unpack_kernel_params(params)
    cov_f_f = rbf_covariance(kernel_params, xstar, xstar)
    cov_y_f = rbf_covariance(kernel_params, x, xstar)
    cov_y_y = rbf_covariance(kernel_params, x, x) + noise_scale * np.eye(len(y))
    pred_mean = mean + np.dot(np.linalg.solve(cov_y_y, cov_y_f).T, y - mean)
    pred_cov = cov_f_f - np.dot(np.linalg.solve(cov_y_y, cov_y_f).T, cov_y_f)
    return pred_mean, np.sqrt(np.abs(np.diag(pred_cov)))

x = np.linspace(-2.0, 2.0, 9)[:, None]
y = np.ravel(np.sin(x) + 0.3 * x)
params = np.array([0.1, -1.0, 0.2, 0.3])
for i in range(10):
    params = params + 0.02 * grad(log_marginal_likelihood)(params, x, y)
here = np.array([[0.5], [1.5]])
total = lambda p: np.sum(predict(p, x, y, here)[0] * predict(p, x, y, here)[1])
found = [params, log_marginal_likelihood(params, x, y), grad(total)(params), *predict(params, x, y, here)]
"""

RECURRENT = """
import autograd.numpy as np
from autograd import grad, jacobian

def update(params, x, h):
    joined = np.concatenate([x, h, np.ones((h.shape[0], 1))], axis=1)
    gate = 1.0 / (1.0 + np.exp(-np.dot(joined, params['gate'])))
    return gate * h + (1 - gate) * np.tanh(np.dot(joined, params['change']))

def run(params, inputs):
    h = np.repeat(params['start'], inputs.shape[1], axis=0)
    states = []
    for x in inputs:
        h = update(params, x, h)
        states.append(h)
    return np.stack(states)

def loss(params):
    states = run(params, inputs)
    clipped = np.clip(states, -0.5, 0.5)
    chosen = np.where(states > 0, clipped, 0.1 * states)
    return np.mean((np.einsum('tbh,h->tb', chosen, np.arange(3.0)) - goals) ** 2) + np.std(states[-1])

inputs = np.sin(np.arange(24.0)).reshape((4, 3, 2))
goals = np.cos(np.arange(12.0)).reshape((4, 3))
params = {'gate': np.cos(np.arange(18.0)).reshape((6, 3)), 'change': np.sin(np.arange(18.0)).reshape((6, 3)),
          'start': np.array([[0.1, -0.2, 0.3]])}
gradient = grad(loss)(params)
found = [loss(params)] + [gradient[key] for key in sorted(params)]
found.append(jacobian(lambda start: run({**params, 'start': start}, inputs)[-1, 0])(params['start']))
"""

CURVATURE = """
import autograd.numpy as np
from autograd import grad, hessian

def tanh(x):
    y = np.exp(-2.0 * x)
    return (1.0 - y) / (1.0 + y)

def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2.0) ** 2 + (1 - x[:-1]) ** 2.0)

def taylor_sine(x):
    ans = currterm = x
    i = 0
    while np.abs(currterm) > 0.0001:
        currterm = -currterm * x ** 2 / ((2 * i + 3) * (2 * i + 2))
        ans = ans + currterm
        i += 1
    return ans

x = np.array([0.3, -0.7, 1.1])
found = [grad(rosenbrock)(x), hessian(rosenbrock)(x), grad(grad(tanh))(0.4), grad(taylor_sine)(np.pi / 3)]
found.append(grad(lambda x, y: np.sum(np.outer(x, y) ** 3), 1)(x, x[:2]))
"""

PROGRAMS = {
    "logistic regression": LOGISTIC_REGRESSION,
    "neural network": NEURAL_NETWORK,
    "Gaussian process": GAUSSIAN_PROCESS,
    "recurrent network": RECURRENT,
    "curvature": CURVATURE,
}
