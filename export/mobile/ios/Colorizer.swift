import CoreGraphics
import Foundation
import TensorFlowLite

/// Colorizes pictures with a file of `kcolor export --format tflite --io rgb`.
///
/// Not safe for several threads at a time. Call it off the main thread.
final class Colorizer {
    enum Failure: Error {
        case context
    }

    private let interpreter: Interpreter

    init(modelPath: String, threads: Int = 2) throws {
        var options = Interpreter.Options()
        options.threadCount = threads
        interpreter = try Interpreter(modelPath: modelPath, options: options)
        try interpreter.allocateTensors()
    }

    /// With `--size N` the answer has the network's size, with `--size any` the picture's own.
    func colorize(_ picture: CGImage) throws -> CGImage {
        var height = picture.height
        var width = picture.width
        let shape = try interpreter.input(at: 0).shape.dimensions
        // A file for any size says 1 where it knows no size.
        if shape[1] > 1, shape[2] > 1, !isResizable {
            (height, width) = (shape[1], shape[2])
        } else {
            isResizable = true
            try interpreter.resizeInput(at: 0, to: Tensor.Shape([1, height, width, 3]))
            try interpreter.allocateTensors()
        }
        let rgb = try Colorizer.rgb(of: picture, width: width, height: height)
        try interpreter.copy(rgb, toInputAt: 0)
        try interpreter.invoke()
        let colorized = try interpreter.output(at: 0).data
        return try Colorizer.image(of: colorized, width: width, height: height)
    }

    private var isResizable = false

    private static let space = CGColorSpace(name: CGColorSpace.sRGB)!
    // Core Graphics draws into four bytes a pixel only; the last one is left out.
    private static let layout = CGImageAlphaInfo.noneSkipLast.rawValue

    private static func rgb(of picture: CGImage, width: Int, height: Int) throws -> Data {
        var rgbx = [UInt8](repeating: 0, count: 4 * width * height)
        try rgbx.withUnsafeMutableBytes { bytes in
            guard let context = CGContext(
                data: bytes.baseAddress, width: width, height: height, bitsPerComponent: 8,
                bytesPerRow: 4 * width, space: space, bitmapInfo: layout)
            else { throw Failure.context }
            context.interpolationQuality = .high
            context.draw(picture, in: CGRect(x: 0, y: 0, width: width, height: height))
        }
        var rgb = Data(capacity: 3 * width * height)
        for pixel in 0..<(width * height) {
            rgb.append(contentsOf: rgbx[(4 * pixel)..<(4 * pixel + 3)])
        }
        return rgb
    }

    private static func image(of rgb: Data, width: Int, height: Int) throws -> CGImage {
        guard let provider = CGDataProvider(data: rgb as CFData),
              let image = CGImage(
                  width: width, height: height, bitsPerComponent: 8, bitsPerPixel: 24,
                  bytesPerRow: 3 * width, space: space,
                  bitmapInfo: CGBitmapInfo(rawValue: CGImageAlphaInfo.none.rawValue),
                  provider: provider, decode: nil, shouldInterpolate: false,
                  intent: .defaultIntent)
        else { throw Failure.context }
        return image
    }
}
