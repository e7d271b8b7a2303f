/** A fake `storage.local` that keeps copies, and fails on demand. */
export class Storage {
  kept = {};
  failsToRead = false;
  failsToWrite = false;
  writes = 0;

  async get(keys) {
    await null;
    if (this.failsToRead) throw new Error("storage cannot be read");
    const found = [keys].flat().filter((key) => key in this.kept);
    return structuredClone(Object.fromEntries(found.map((key) => [key, this.kept[key]])));
  }

  async set(values) {
    await null;
    if (this.failsToWrite) throw new Error("storage is full");
    this.writes += 1;
    Object.assign(this.kept, structuredClone(values));
  }
}
