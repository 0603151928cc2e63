package kcolor

import kotlin.math.abs
import kotlin.math.ln
import kotlin.math.max
import kotlin.math.min
import kotlin.math.pow

/**
 * The color math around a network file (`--io network`), without any Android class.
 *
 * Pictures are ARGB integers in rows, as `Bitmap.getPixels` gives them. What a reader would get
 * wrong: the network's result replaces a* and b* only. Lightness is taken from the full-size
 * picture again, so the photograph keeps every detail.
 */
object LabMath {
    // Units of the network: L* / 50 - 1, a* and b* / 110.
    private const val LIGHTNESS_SCALE = 50f
    private const val AB_SCALE = 110f
    private const val DELTA = 6.0 / 29.0
    private val RGB_TO_XYZ = arrayOf(
        doubleArrayOf(0.412453, 0.357580, 0.180423),
        doubleArrayOf(0.212671, 0.715160, 0.072169),
        doubleArrayOf(0.019334, 0.119193, 0.950227)
    )
    private val LUMINANCE = scaled(1)
    private val WHITE_XYZ_TO_RGB = inverse(Array(3) { scaled(it) })
    private val LINEAR = FloatArray(256) { toLinear(it / 255.0).toFloat() }

    // sRGB codes of linear light in steps of 1/4095 would miss dark tones; 1/65535 does not.
    private val CODES = ByteArray(65536) { (toGamma(it / 65535.0) * 255 + 0.5).toInt().toByte() }

    /** L* / 50 - 1 of each pixel; a toned scan loses its tone here. */
    fun lightness(pixels: IntArray): FloatArray =
        FloatArray(pixels.size) { root(luminance(pixels[it])) * 116f / LIGHTNESS_SCALE - 16f / LIGHTNESS_SCALE - 1f }

    /** Where on a canvas the whole photograph lies; the rest is its mirror image. */
    class Box(val top: Int, val left: Int, val height: Int, val width: Int)

    /** The shapes, (height, width), that a network for any size is run at: kcolor's own. */
    val CANVASES = listOf(352 to 192, 288 to 224, 256 to 256, 224 to 288, 192 to 352)

    /** The canvas whose aspect is nearest to the photograph's. */
    fun choose(height: Int, width: Int): Pair<Int, Int> {
        fun misfit(canvas: Pair<Int, Int>) =
            abs(ln(canvas.second.toDouble() * height / (canvas.first.toDouble() * width)))
        var best = CANVASES[0]
        for (canvas in CANVASES) if (misfit(canvas) < misfit(best)) best = canvas
        return best
    }

    /** The largest box of the photograph's aspect in a canvas, in whole numbers as kcolor has it. */
    fun fit(canvasHeight: Int, canvasWidth: Int, height: Int, width: Int): Box {
        val rows = (2L * height * canvasWidth + width) / (2L * width)
        val columns = (2L * width * canvasHeight + height) / (2L * height)
        val boxHeight = max(1, min(rows, canvasHeight.toLong()).toInt())
        val boxWidth = max(1, min(columns, canvasWidth.toLong()).toInt())
        return Box((canvasHeight - boxHeight) / 2, (canvasWidth - boxWidth) / 2, boxHeight, boxWidth)
    }

    /** Puts the lightness of a box on its canvas and its mirror image around it. */
    fun surround(lightness: FloatArray, box: Box, canvasHeight: Int, canvasWidth: Int): FloatArray =
        FloatArray(canvasHeight * canvasWidth) {
            val row = mirror(it / canvasWidth - box.top, box.height)
            val column = mirror(it % canvasWidth - box.left, box.width)
            lightness[row * box.width + column]
        }

    /** Cuts the box' part out of `ab` of a whole canvas. */
    fun cut(ab: FloatArray, box: Box, canvasWidth: Int): FloatArray =
        FloatArray(2 * box.height * box.width) {
            val pixel = it / 2
            val row = box.top + pixel / box.width
            val column = box.left + pixel % box.width
            ab[2 * (row * canvasWidth + column) + it % 2]
        }

    /**
     * Gives a picture the colors that the network answered for its small copy.
     *
     * `ab` holds `abHeight` x `abWidth` pairs for the whole picture; they are enlarged
     * bilinearly. `pixels` is changed in place; alpha stays.
     */
    fun merge(pixels: IntArray, width: Int, height: Int, ab: FloatArray, abWidth: Int, abHeight: Int) {
        for (y in 0 until height) {
            val sourceY = clamp((y + 0.5f) * abHeight / height - 0.5f, 0f, abHeight - 1f)
            val top = sourceY.toInt()
            val bottom = min(top + 1, abHeight - 1)
            val shareY = sourceY - top
            for (x in 0 until width) {
                val sourceX = clamp((x + 0.5f) * abWidth / width - 0.5f, 0f, abWidth - 1f)
                val left = sourceX.toInt()
                val right = min(left + 1, abWidth - 1)
                val shareX = sourceX - left
                var a = 0f
                var b = 0f
                for (corner in 0 until 4) {
                    val row = if (corner < 2) top else bottom
                    val column = if (corner % 2 == 0) left else right
                    val weight = (if (corner < 2) 1 - shareY else shareY) *
                        (if (corner % 2 == 0) 1 - shareX else shareX)
                    a += weight * ab[2 * (row * abWidth + column)]
                    b += weight * ab[2 * (row * abWidth + column) + 1]
                }
                val i = y * width + x
                pixels[i] = recolor(pixels[i], a * AB_SCALE, b * AB_SCALE)
            }
        }
    }

    private fun recolor(pixel: Int, a: Float, b: Float): Int {
        val fy = root(luminance(pixel))
        // A prediction outside the sRGB gamut's own range is no color.
        val fx = fy + clamp(a, -86.2f, 98.3f) / 500f
        val fz = fy - clamp(b, -107.9f, 94.5f) / 200f
        val xyz = floatArrayOf(cube(fx), cube(fy), cube(fz))
        val gray = clamp(xyz[1], 0f, 1f)
        val offsets = FloatArray(3)
        var share = 1f
        for (channel in 0 until 3) {
            val row = WHITE_XYZ_TO_RGB[channel]
            val linear = row[0].toFloat() * xyz[0] + row[1].toFloat() * xyz[1] + row[2].toFloat() * xyz[2]
            offsets[channel] = linear - gray
            val room = if (offsets[channel] > 0) 1 - gray else gray
            share = min(share, room / max(abs(offsets[channel]), 1e-6f))
        }
        // What does not fit into sRGB moves towards the gray of its luminance: L* stays.
        var result = pixel and 0xff000000.toInt()
        for (channel in 0 until 3) {
            val linear = clamp(gray + share * offsets[channel], 0f, 1f)
            val code = CODES[(linear * 65535f + 0.5f).toInt()].toInt() and 0xff
            result = result or (code shl (16 - 8 * channel))
        }
        return result
    }

    private fun luminance(pixel: Int): Float =
        (LUMINANCE[0] * LINEAR[pixel shr 16 and 0xff] +
            LUMINANCE[1] * LINEAR[pixel shr 8 and 0xff] +
            LUMINANCE[2] * LINEAR[pixel and 0xff]).toFloat()

    private fun root(t: Float): Float =
        if (t > DELTA * DELTA * DELTA) Math.cbrt(t.toDouble()).toFloat()
        else (t / (3 * DELTA * DELTA) + 4.0 / 29.0).toFloat()

    private fun cube(f: Float): Float =
        if (f > DELTA) f * f * f else (3 * DELTA * DELTA * (f - 4.0 / 29.0)).toFloat()

    private fun toLinear(code: Double): Double =
        if (code <= 0.04045) code / 12.92 else ((code + 0.055) / 1.055).pow(2.4)

    private fun toGamma(linear: Double): Double =
        if (linear <= 0.0031308) 12.92 * linear else 1.055 * linear.pow(1 / 2.4) - 0.055

    private fun clamp(value: Float, low: Float, high: Float): Float = max(low, min(high, value))

    // A row of the matrix over its own white, so that gray has a* = b* = 0 exactly.
    private fun scaled(row: Int): DoubleArray {
        val sum = RGB_TO_XYZ[row].sum()
        return DoubleArray(3) { RGB_TO_XYZ[row][it] / sum }
    }

    private fun mirror(position: Int, count: Int): Int {
        val period = max(2 * (count - 1), 1)
        val at = abs(position) % period
        return min(at, period - at)
    }

    private fun inverse(m: Array<DoubleArray>): Array<DoubleArray> {
        fun minor(i: Int, j: Int): Double {
            val r = (0..2).filter { it != i }
            val c = (0..2).filter { it != j }
            return m[r[0]][c[0]] * m[r[1]][c[1]] - m[r[0]][c[1]] * m[r[1]][c[0]]
        }
        val determinant = m[0][0] * minor(0, 0) - m[0][1] * minor(0, 1) + m[0][2] * minor(0, 2)
        return Array(3) { i ->
            DoubleArray(3) { j -> (if ((i + j) % 2 == 0) 1 else -1) * minor(j, i) / determinant }
        }
    }
}
