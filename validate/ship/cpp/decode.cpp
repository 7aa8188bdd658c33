// JPEG by libjpeg and PNG by libpng, which tell of damage; other formats by OpenCV.
#include <cstdio>  // before jpeglib.h, which does not include what it needs

#include <jpeglib.h>
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>

#ifdef WITH_OPENCV
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#endif

#include "preprocess.hpp"

namespace {

using Bytes = std::vector<unsigned char>;

constexpr std::size_t MOST_PIXELS = std::size_t(1) << 28;  // 800 MB

// The orientation, 1 to 8, that TIFF data in an image says (tag 0x0112); 1 where it says none.
int orientation(const unsigned char* data, std::size_t size) {
    const bool little = size >= 8 && std::memcmp(data, "II*\0", 4) == 0;
    if (!little && (size < 8 || std::memcmp(data, "MM\0*", 4) != 0)) return 1;
    const auto number = [=](std::size_t at, int bytes) {  // a value beyond the end is none
        std::size_t value = 0;
        if (at > size || size - at < std::size_t(bytes)) return value;
        for (int i = 0; i < bytes; ++i) value |= std::size_t(data[at + i]) << 8 * (little ? i : bytes - 1 - i);
        return value;
    };
    const std::size_t table = number(4, 4), entries = number(table, 2);
    for (std::size_t i = 0; i < entries; ++i) {
        const std::size_t entry = table + 2 + 12 * i;
        if (number(entry, 2) != 0x0112) continue;
        const auto value = number(entry + 8, 2);
        return value >= 1 && value <= 8 ? int(value) : 1;
    }
    return 1;
}

Image turned(Image image, int orientation) {
    if (orientation == 1) return image;
    const bool across = orientation >= 5;  // rows become columns
    const bool mirrored = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool upside_down = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    Image out(across ? image.height : image.width, across ? image.width : image.height);
    for (int y = 0; y < out.height; ++y)
        for (int x = 0; x < out.width; ++x) {
            const int column = across ? y : x, row = across ? x : y;
            const int from_x = mirrored ? image.width - 1 - column : column;
            const int from_y = upside_down ? image.height - 1 - row : row;
            std::copy_n(image.row(from_y) + 3 * from_x, 3, out.row(y) + 3 * x);
        }
    return out;
}

void check_size(std::size_t width, std::size_t height) {
    if (width * height > MOST_PIXELS)
        throw Refusal("is too large: " + std::to_string(width) + "x" + std::to_string(height) + " pixels");
}

// Neither library may be left by an exception, so errors jump, over nothing that has a destructor.
struct Errors {
    jpeg_error_mgr manager;  // first, so that a pointer to it is one to the whole
    std::jmp_buf back;
    char text[JMSG_LENGTH_MAX];
};

void jpeg_stops(j_common_ptr info) {
    auto* errors = reinterpret_cast<Errors*>(info->err);
    errors->manager.format_message(info, errors->text);
    std::longjmp(errors->back, 1);
}

// A warning is damage too: libjpeg goes on with other pixels.
void jpeg_warns(j_common_ptr info, int level) {
    if (level < 0) jpeg_stops(info);
}

class Jpeg {
public:
    explicit Jpeg(const Bytes& bytes) {
        info_.err = jpeg_std_error(&errors_.manager);
        errors_.manager.error_exit = jpeg_stops;
        errors_.manager.emit_message = jpeg_warns;
        jpeg_create_decompress(&info_);
        if (setjmp(errors_.back)) fail();
        jpeg_mem_src(&info_, const_cast<unsigned char*>(bytes.data()), static_cast<unsigned long>(bytes.size()));
        jpeg_save_markers(&info_, JPEG_APP0 + 1, 0xffff);
        jpeg_read_header(&info_, TRUE);
    }
    ~Jpeg() { jpeg_destroy_decompress(&info_); }

    Image read() {
        if (info_.num_components != 1 && info_.num_components != 3)
            throw Refusal("has " + std::to_string(info_.num_components) + " colour channels: convert it to RGB");
        check_size(info_.image_width, info_.image_height);
        int turn = 1;
        for (auto* one = info_.marker_list; one; one = one->next)  // there until decoding ends
            if (turn == 1 && one->data_length > 6 && std::memcmp(one->data, "Exif\0\0", 6) == 0)
                turn = orientation(one->data + 6, one->data_length - 6);
        Image image(int(info_.image_width), int(info_.image_height));
        lines(image);
        return turned(std::move(image), turn);
    }

private:
    void lines(Image& image) {
        if (setjmp(errors_.back)) fail();
        info_.out_color_space = JCS_RGB;
        info_.dct_method = JDCT_ISLOW;
        jpeg_start_decompress(&info_);
        while (info_.output_scanline < info_.output_height) {
            unsigned char* row = image.row(int(info_.output_scanline));
            jpeg_read_scanlines(&info_, &row, 1);
        }
        jpeg_finish_decompress(&info_);
    }
    [[noreturn]] void fail() const { throw Refusal("is a damaged JPEG (" + std::string(errors_.text) + ")"); }

    jpeg_decompress_struct info_{};
    Errors errors_{};
};

class Png {
public:
    explicit Png(const Bytes& bytes) : left_(bytes.data()), end_(bytes.data() + bytes.size()) {
        png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, stop, [](png_structp, png_const_charp) {});
        info_ = png_ ? png_create_info_struct(png_) : nullptr;
        if (!info_) throw Refusal("cannot be decoded: libpng is of another version than its header");
    }
    ~Png() { png_destroy_read_struct(&png_, &info_, nullptr); }

    Image read() {
        header();
        check_size(png_get_image_width(png_, info_), png_get_image_height(png_, info_));
        Image image(int(png_get_image_width(png_, info_)), int(png_get_image_height(png_, info_)));
        std::vector<unsigned char*> rows;
        for (int y = 0; y < image.height; ++y) rows.push_back(image.row(y));
        lines(rows.data());
#ifdef PNG_eXIf_SUPPORTED
        png_bytep exif = nullptr;
        png_uint_32 size = 0;
        if (png_get_eXIf_1(png_, info_, &size, &exif)) return turned(std::move(image), orientation(exif, size));
#endif
        return image;
    }

private:
    void header() {
        if (setjmp(png_jmpbuf(png_))) fail();
        png_set_read_fn(png_, this, take);
        png_read_info(png_, info_);
        png_set_palette_to_rgb(png_);
        png_set_expand_gray_1_2_4_to_8(png_);
        png_set_strip_16(png_);
        png_set_strip_alpha(png_);
        png_set_gray_to_rgb(png_);
        png_set_interlace_handling(png_);
        png_read_update_info(png_, info_);
        if (png_get_rowbytes(png_, info_) != png_get_image_width(png_, info_) * std::size_t(3))
            png_error(png_, "rows of another length than three bytes for each pixel");
    }
    void lines(unsigned char** rows) {
        if (setjmp(png_jmpbuf(png_))) fail();
        png_read_image(png_, rows);
        png_read_end(png_, info_);
    }
    static void take(png_structp png, png_bytep to, png_size_t size) {
        auto* self = static_cast<Png*>(png_get_io_ptr(png));
        if (std::size_t(self->end_ - self->left_) < size) png_error(png, "the file ends too early");
        std::memcpy(to, self->left_, size);
        self->left_ += size;
    }
    static void stop(png_structp png, png_const_charp text) {
        auto* self = static_cast<Png*>(png_get_error_ptr(png));
        std::snprintf(self->text_, sizeof self->text_, "%s", text);
        png_longjmp(png, 1);
    }
    [[noreturn]] void fail() const { throw Refusal("is a damaged PNG (" + std::string(text_) + ")"); }

    const unsigned char *left_, *end_;
    png_structp png_ = nullptr;
    png_infop info_ = nullptr;
    char text_[200] = {};
};

bool starts(const Bytes& bytes, const std::string& magic) {
    return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

Image decoded(const Bytes& bytes) {
    if (bytes.empty()) throw Refusal("is empty");
    if (starts(bytes, "\xff\xd8")) return Jpeg(bytes).read();
    if (starts(bytes, "\x89PNG\r\n\x1a\n")) return Png(bytes).read();
#ifdef WITH_OPENCV
    const cv::Mat found = cv::imdecode(bytes, cv::IMREAD_COLOR);
    if (found.empty()) throw Refusal("cannot be decoded: damaged, or in no format that OpenCV knows");
    Image image(found.cols, found.rows);
    cv::Mat pixels(found.rows, found.cols, CV_8UC3, image.pixels.data());
    cv::cvtColor(found, pixels, cv::COLOR_BGR2RGB);
    return image;
#else
    throw Refusal("is neither JPEG nor PNG: build this program with -DWITH_OPENCV=ON for other formats");
#endif
}

}  // namespace

Image decode(const std::filesystem::path& file) {
    const Bytes bytes = read_bytes(file);
    try {
        return decoded(bytes);
    } catch (const Refusal& error) {
        throw Refusal("image " + file.string() + " " + error.what());
    }
}
