/** Packages with the names of those that the MLX engine needs, small enough for tests. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A product of ones, which is all that the installer asks of mlx. */
const core = `
class array:
    def __init__(self, shape, value):
        self.shape, self.value = shape, value
    def __matmul__(self, other):
        return array((self.shape[0], other.shape[1]), self.value * other.value * self.shape[1])
    def sum(self):
        return array((1, 1), self.value * self.shape[0] * self.shape[1])
    def item(self):
        return self.value

def ones(shape):
    return array(shape, 1)

def eval(*arrays):
    pass
`

const brokenCore = 'raise ImportError("libfoo.so.1: cannot open shared object file")\n'

/** zipfile of the Python that there is: the tests need one anyway. */
const writeWheels = `
import json, sys, zipfile
folder, packages = sys.argv[1], json.loads(sys.argv[2])
for name, files in packages.items():
    stem = name.replace("-", "_")
    info = f"{stem}-1.0.dist-info"
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n"
    files[f"{info}/WHEEL"] = (
        "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    )
    files[f"{info}/RECORD"] = "".join(f"{path},,\\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(f"{folder}/{stem}-1.0-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
`

export interface FakePackages {
  /** The file of requirements. */
  readonly requirements: string
  /** Makes pip and uv take them, and nothing from a network. */
  readonly env: Readonly<Record<string, string>>
}

export function writeFakePackages(folder: string, isBroken = false): FakePackages {
  const wheels = join(folder, 'wheels')
  mkdirSync(wheels, { recursive: true })
  const packages = {
    mlx: { 'mlx/__init__.py': '', 'mlx/core.py': isBroken ? brokenCore : core },
    'mlx-lm': { 'mlx_lm/__init__.py': '' },
    llguidance: { 'llguidance/__init__.py': '' },
    msgpack: { 'msgpack/__init__.py': '' },
  }
  execFileSync('python3', ['-c', writeWheels, wheels, JSON.stringify(packages)])
  const requirements = join(folder, 'requirements.txt')
  const pins = Object.keys(packages).map((name) => `${name}==1.0\n`)
  writeFileSync(requirements, pins.join(''))
  const env = {
    ...{ PIP_NO_INDEX: '1', PIP_FIND_LINKS: wheels },
    ...{ UV_NO_INDEX: '1', UV_FIND_LINKS: wheels, UV_NO_CACHE: '1' },
  }
  return { requirements, env }
}
