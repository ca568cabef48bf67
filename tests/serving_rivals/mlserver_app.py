"""MLServer: a custom runtime with adaptive batching, over the V2 inference protocol.

The answer holds catalogue indices, not ids: its protocol's text tensors would only make it slower.
"""

from __future__ import annotations

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from ranker import Ranker


class Rank(MLModel):
    async def load(self) -> bool:
        self._rank = Ranker()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        history = NumpyCodec.decode_input(payload.inputs[0])
        items, scores = self._rank.arrays(history, 100)
        outputs = [NumpyCodec.encode_output("items", items), NumpyCodec.encode_output("scores", scores)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
