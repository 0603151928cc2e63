package kcolor

import android.graphics.Bitmap
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.Interpreter

/**
 * Colorizes bitmaps with a file of `kcolor export --format tflite`.
 *
 * Not safe for several threads at a time: an interpreter runs one picture. Call it off the main
 * thread and `close` it.
 */
class Colorizer(model: File, threads: Int = 2) : AutoCloseable {
    private val interpreter =
        Interpreter(model, Interpreter.Options().apply { setNumThreads(threads) })

    /** With `--io rgb --size N`: the answer has the network's size. */
    fun colorizeSmall(photo: Bitmap): Bitmap {
        val shape = interpreter.getInputTensorFromSignature("image", SIGNATURE).shape()
        val (height, width) = shape[1] to shape[2]
        return run(scaled(photo, width, height))
    }

    /** With `--io rgb --size any`: the answer has the photograph's size. */
    fun colorizeAny(photo: Bitmap): Bitmap {
        interpreter.resizeInput(0, intArrayOf(1, photo.height, photo.width, 3))
        interpreter.allocateTensors()
        return run(photo)
    }

    /**
     * With `--io network`: full resolution in little memory. The network sees a small copy, whole
     * and unsquashed; the colors are merged with the photograph's own lightness.
     */
    fun colorizeFull(photo: Bitmap): Bitmap {
        val tensor = interpreter.getInputTensorFromSignature("lightness", SIGNATURE)
        var (height, width) = tensor.shape()[1] to tensor.shape()[2]
        if (tensor.shapeSignature()[1] < 0) {  // --size any
            val canvas = LabMath.choose(photo.height, photo.width)
            height = canvas.first
            width = canvas.second
            interpreter.resizeInput(0, intArrayOf(1, height, width, 1))
            interpreter.allocateTensors()
        }
        val box = LabMath.fit(height, width, photo.height, photo.width)
        val small = LabMath.lightness(pixels(scaled(photo, box.width, box.height)))
        val input = direct(4 * height * width)
        input.asFloatBuffer().put(LabMath.surround(small, box, height, width))
        val output = direct(4 * 2 * height * width)
        interpreter.runSignature(mapOf("lightness" to input), mapOf("ab" to output), SIGNATURE)
        val ab = FloatArray(2 * height * width)
        output.rewind()
        output.asFloatBuffer().get(ab)
        val full = pixels(photo)
        val seen = LabMath.cut(ab, box, width)
        LabMath.merge(full, photo.width, photo.height, seen, box.width, box.height)
        return Bitmap.createBitmap(full, photo.width, photo.height, Bitmap.Config.ARGB_8888)
    }

    override fun close() = interpreter.close()

    private fun run(photo: Bitmap): Bitmap {
        val pixels = pixels(photo)
        val input = direct(3 * pixels.size)
        for (pixel in pixels) {
            input.put((pixel shr 16).toByte()).put((pixel shr 8).toByte()).put(pixel.toByte())
        }
        input.rewind()
        val output = direct(3 * pixels.size)
        interpreter.run(input, output)
        output.rewind()
        for (i in pixels.indices) {
            val red = output.get().toInt() and 0xff
            val green = output.get().toInt() and 0xff
            val blue = output.get().toInt() and 0xff
            pixels[i] = (0xff shl 24) or (red shl 16) or (green shl 8) or blue
        }
        return Bitmap.createBitmap(pixels, photo.width, photo.height, Bitmap.Config.ARGB_8888)
    }

    // Android samples single pixels; halving first averages them, so that fine patterns do not
    // turn into false ones.
    private fun scaled(photo: Bitmap, width: Int, height: Int): Bitmap {
        var view = photo
        while (view.width >= 2 * width && view.height >= 2 * height) {
            view = Bitmap.createScaledBitmap(view, view.width / 2, view.height / 2, true)
        }
        return Bitmap.createScaledBitmap(view, width, height, true)
    }

    private fun pixels(bitmap: Bitmap) = IntArray(bitmap.width * bitmap.height).also {
        bitmap.getPixels(it, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
    }

    private fun direct(bytes: Int) = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())

    private companion object {
        const val SIGNATURE = "serving_default"
    }
}
