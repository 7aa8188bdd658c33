"""What an adapter of one's own imports, in a checkout and where vitbench is installed (docs/adapters.md)."""

from runtimes.base import DeviceTimes as DeviceTimes
from runtimes.base import Effective as Effective
from runtimes.base import Elsewhere as Elsewhere
from runtimes.base import Footprint as Footprint
from runtimes.base import Options as Options
from runtimes.base import Runtime as Runtime
from runtimes.base import Session as Session
from runtimes.base import Setting as Setting
from runtimes.base import TensorInfo as TensorInfo
from runtimes.base import UnavailableError as UnavailableError
from runtimes.base import cache_folder as cache_folder
from runtimes.base import lowest_precision as lowest_precision
from runtimes.profiled.layers import LayerTime as LayerTime
from runtimes.profiled.layers import ProfiledSession as ProfiledSession
from runtimes.records.parts import Arithmetic as Arithmetic
