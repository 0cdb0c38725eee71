/**
 * Gives the memory of an array back at once, of which it must be the only user; the array is empty then. Left to V8, memory outside of
 * its heap is there until a collection, and much of it has the whole heap looked through.
 */
export const letGo = (array: ArrayBufferView): void => void (array.buffer as ArrayBuffer).transfer(0)
