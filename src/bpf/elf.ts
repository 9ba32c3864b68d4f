/**
 * Content of a section of a 64-bit little-endian ELF file, or undefined when it has no such section.
 * @throws Error if the file is not such an ELF file or is cut off.
 */
export function elfSection(bytes: Buffer, name: string): Buffer | undefined {
  if (bytes.length < 64 || bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) {
    throw new Error('not a 64-bit little-endian ELF file');
  }
  const headers = Number(bytes.readBigUInt64LE(0x28));
  const size = bytes.readUInt16LE(0x3a);
  const count = bytes.readUInt16LE(0x3c);
  if (headers + size * count > bytes.length) throw new Error('the ELF file is cut off');
  const section = (index: number): { name: number; content: Buffer } => {
    const at = headers + index * size;
    const offset = Number(bytes.readBigUInt64LE(at + 0x18));
    return {
      name: bytes.readUInt32LE(at),
      content: bytes.subarray(offset, offset + Number(bytes.readBigUInt64LE(at + 0x20))),
    };
  };
  const names = section(bytes.readUInt16LE(0x3e)).content;
  for (let index = 0; index < count; index++) {
    const { name: at, content } = section(index);
    const end = names.indexOf(0, at);
    if (names.toString('latin1', at, end) === name) return content;
  }
  return undefined;
}
