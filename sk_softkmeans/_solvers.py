r"""What lowers a loss at one temperature: EM, gradient descent, L-BFGS.

There are two losses of centers c. The free energy F has the gradient

.. math:: \nabla_{c_k} F = 2 \sum_i w_i p_{ik} (c_k - x_i) = 2 N_k (c_k - m_k)

with N_k the masses and m_k the weighted means, so that a step of ``1 / (2 N_k)`` leads
to the means: it is EM. The distortion ``D = sum w p d``, with memberships that depend
on the centers, has

.. math:: \nabla_{c_k} D = 2 \sum_i w_i \omega_{ik} (c_k - x_i), \quad \omega_{ik} =
    p_{ik} - \frac{s_{ik}}{T} \Big(d_{ik} - \frac{\sum_l s_{il} d_{il}}{\sum_l s_{il}}
    \Big), \quad s = p^{2 - \alpha} \text{ where } p > 0.

Where every omega is p, as in hard memberships, the same step is Lloyd's.
"""

import numpy as np
from scipy.optimize import minimize

from sk_softkmeans._acceleration import Anderson, Means
from sk_softkmeans._em import FitResult, enter, run
from sk_softkmeans._schedules import Constant
from sk_softkmeans._steps import DenseStep, m_step

# Armijo's rule: the share of the fall that the slope promises.
_SHARE = 1e-4
# A step is no longer.
_FARTHEST = float(np.sqrt(np.finfo(float).max)) * 1e-6
# Of the loss, in units of the rounding of X: what may be no rise.
_SLACK = 16
# L-BFGS ends when an iteration lowers the loss by this share of tol times the scatter.
_LBFGS_TOL = 1e-4


class DistortionStep(DenseStep):
    """The step whose means lie ``1 / (2 N_k)`` down the slope of the distortion.

    So ``2 N_k (c_k - mean_k)`` is the gradient, as it is for the free energy.
    """

    def __init__(self, assignment, with_distortion, squares=None, pruning=None):
        super().__init__(assignment, True, squares, pruning)
        self._reach = np.inf

    def _margin(self, n_clusters, dtype):
        """Return inf: the slope needs the responsibilities of all clusters."""
        return np.inf

    def _sums(self, block, z, out, total, weights, layout, centers):
        """Return the masses, and the sums that lead to those means."""
        out /= total
        mass = out @ weights
        slope = np.where(out > 0, out ** (2 - self.assignment.alpha), 0)
        z -= np.einsum("km,km->m", slope, z) / slope.sum(axis=0)
        slope *= z
        slope += out
        omega_mass, sums = block.sums(slope, weights)
        return mass, sums + (mass - omega_mass)[:, np.newaxis] * centers.points


class FreeEnergy:
    """The normalised free energy."""

    step = DenseStep
    # No full step raises it, and the means are such a step from any centers.
    is_majorised = True

    def __call__(self, stats):
        """Return the loss."""
        return stats.value


class Distortion:
    """The sum of squared distances by responsibilities."""

    step = DistortionStep
    is_majorised = False

    def __call__(self, stats):
        """Return the loss."""
        return stats.distortion


class _Solver:
    """What solvers share: a loss, and what to do at temperatures that are 0."""

    def __init__(self, loss):
        self.loss = loss

    def solve(self, chunks, moments, centers, temperature, steps, **limits):
        """Return the `FitResult` of lowering the loss from these centers."""
        return run(
            chunks,
            moments,
            centers,
            Constant(temperature),
            steps,
            update=self.update(moments, chunks.X.dtype, limits["tol"]),
            **limits,
        )

    def following(self, state):
        """Return the centers to go on with after an appraisal."""
        return state.following if self.loss.is_majorised else state.centers


class ExpectationMaximisation(_Solver):
    """EM, which lowers the free energy."""

    def update(self, moments, dtype, tol):
        """Return what gives the next centers."""
        return Anderson(moments, dtype, tol)


class GradientDescent(_Solver):
    """Gradient descent with the step 1 / (2 N_k), halved while the loss rises."""

    def update(self, moments, dtype, tol):
        """Return what gives the next centers."""
        return LineSearch(moments, dtype, self.loss)


class LineSearch(Means):
    """Centers along the last direction, as far as the loss falls enough.

    Parameters
    ----------
    moments : Moments
        The moments of the samples.
    dtype : dtype
        That of the samples.
    loss : callable
        Of the statistics of a step, the loss.
    """

    def __init__(self, moments, dtype, loss):
        super().__init__(moments, dtype)
        self._loss = loss
        self._limit = np.inf

    def means(self, centers, stats):
        """Return the centers after those of an E-step, or between it and the last."""
        loss = self._loss(stats)
        if loss > self._limit:
            self._length /= 2
        else:
            self._start, self._base, self._length = centers, loss, 1.0
            # A slope of the distortion may lead beyond all numbers whose squares are.
            with np.errstate(over="ignore"):
                direction = m_step(stats) - centers
            self._direction = np.clip(direction, -_FARTHEST, _FARTHEST)
            self._slope = 2 * (stats.mass @ (self._direction**2).sum(axis=1))
        fall = _SHARE * self._length * self._slope
        self._limit = self._base - fall + _SLACK * self._eps * abs(self._base)
        return self._start + self._length * self._direction

    def settle(self, centers):
        """Return the last centers whose loss is known, unless no step can raise it."""
        return centers if self._loss.is_majorised else self._start


class LBFGS(_Solver):
    """L-BFGS of SciPy, in units of the deviation of the samples."""

    def solve(
        self, chunks, moments, centers, temperature, steps, *, max_iter, tol, monitor
    ):
        """Return the `FitResult` of lowering the loss from these centers."""
        cold = enter(chunks, moments, centers, temperature)[1]
        if cold or moments.scatter == 0:
            em = ExpectationMaximisation(self.loss)
            limits = {"max_iter": max_iter, "tol": tol, "monitor": monitor}
            return em.solve(chunks, moments, centers, temperature, steps, **limits)
        unit, size = np.sqrt(moments.variance), moments.scatter
        free_energies, entering, last = [], [centers], {}

        def _loss_and_slope(v):
            centers = unit * v.reshape(entering[0].shape)
            ready, _ = enter(chunks, moments, centers, temperature)
            stats = steps.soft.reduce(chunks, ready, temperature)
            last.update(centers=centers, free_energy=stats.value)
            free_energies[:] = free_energies or [stats.value]
            slope = 2 * stats.mass[:, np.newaxis] * (centers - m_step(stats))
            return self.loss(stats) / size, slope.ravel() * (unit / size)

        def _tell():
            # The point that ends an iteration is the last one that was evaluated.
            before, entering[:] = entering[0], [last["centers"]]
            monitor.begin_iteration()
            monitor.end_iteration(before, free_energies[-1], entering[0], temperature)
            free_energies.append(last["free_energy"])

        def _callback(intermediate_result):
            _tell()
            if monitor.stopped:
                raise StopIteration

        found = minimize(
            _loss_and_slope,
            centers.ravel() / unit,
            jac=True,
            method="L-BFGS-B",
            callback=_callback,
            options={"maxiter": max_iter, "ftol": _LBFGS_TOL * tol, "gtol": 0.0},
        )
        if not found.nit:
            _tell()
        return FitResult(
            unit * found.x.reshape(centers.shape),
            temperature,
            np.array(free_energies[: max(found.nit, 1)]),
            np.full(max(found.nit, 1), temperature),
            None if found.status == 1 else found.message,
        )


# By the names of the parameters.
LOSSES = {"free_energy": FreeEnergy(), "distortion": Distortion()}
SOLVERS = {"em": ExpectationMaximisation, "gradient": GradientDescent, "lbfgs": LBFGS}
